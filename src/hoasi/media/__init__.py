"""Workbench (floor 1): pictures, clips, faces and storyboards made or changed on this machine, without network."""
