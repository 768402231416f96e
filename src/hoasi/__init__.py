"""hoasi, the artist of a video pipeline: pictures and clips, paid at most once."""
