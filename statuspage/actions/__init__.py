"""What people and clocks do: one function, one transaction each."""
