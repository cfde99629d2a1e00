"""Sounds anywhere around a head: places, the head in all directions, distance, width and rooms, block by block."""
