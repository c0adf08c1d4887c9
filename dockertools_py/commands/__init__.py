"""One file a verb: each wires the edges together and talks to the user."""
