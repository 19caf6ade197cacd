"""What an administrator sets up: components, people, wording, the page."""
