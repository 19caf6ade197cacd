"""What anonymous readers get: finished files, written once."""
