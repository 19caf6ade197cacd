"""How words leave: the outbox and its transports."""
