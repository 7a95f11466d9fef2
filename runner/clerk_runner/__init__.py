"""How it is done: the engine, the client, the journal, the simulator and the command line."""
