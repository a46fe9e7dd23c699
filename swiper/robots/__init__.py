"""People of the demo: made by a command, and answering by themselves."""
