"""The main job on files: requests checked before work, one file or many, results and what lies beside them."""
