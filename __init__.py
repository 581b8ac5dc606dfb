"""framebank: a folder of videos becomes a bank of frame embeddings once; every question is answered from the bank."""

__version__ = "0.2.0.dev0"
