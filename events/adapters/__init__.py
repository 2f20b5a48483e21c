"""Adapters: what orchestrators know, said in the words of the contract. Each needs its own extra."""
