"""Races, faults and attacks against real servers on this machine: `make chaos`."""
