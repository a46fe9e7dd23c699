"""What `make audit` asks: are the pinned packages free of known holes, and the history free of secrets?"""
