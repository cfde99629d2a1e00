"""Two ears and a head: transforms, head-related filters, level differences, rooms. No files but heads, no learning."""
