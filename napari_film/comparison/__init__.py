"""Masks held against each other: under other condition values, by other trainings, and against a reference."""
