"""What is true, with no computer in it: no I/O, no clock, no database."""
