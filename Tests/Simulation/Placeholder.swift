// The simulated store and clock. Filled by its own files.
