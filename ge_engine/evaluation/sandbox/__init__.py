"""What a process that runs generated code may do, read and store."""
