"""The report page of one spatialized sound: listen, compare, and see what was requested and what came out."""
