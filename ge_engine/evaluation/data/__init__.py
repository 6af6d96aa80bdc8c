"""What a worker is given: the genome as a module, images as batches, and arrays in shared memory."""
