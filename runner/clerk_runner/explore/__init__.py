"""Finding, understanding and calling any operation of the Backend API: what stands behind ``clerk-batch
api``."""
