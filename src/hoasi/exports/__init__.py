"""Floor 3, writers: what was made, told to the pipeline in the files that other people's programs parse."""
