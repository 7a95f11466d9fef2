"""What is to be done: kinds of job, as pure functions from rows to calls and from responses to outcomes."""
