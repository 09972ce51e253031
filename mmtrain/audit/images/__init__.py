"""Checks of the images of a table.

| module | does |
|---|---|
| `checks` | all of them, for every column |
| `image_column` | a column, its files and its pixels |
| `file_metadata` | header and hash of every file |
| `file_health` | findings about files: gone, damaged, of several kinds |
| `shortcuts` | findings about kinds of files, sizes and brightness that go with an answer |
| `image_fingerprints` | brightness, contrast and perceptual hash of every image |
| `exposure` | findings about images of one colour, and far too dark or bright ones |
| `near_duplicates` | which images look the same |
| `comparable_images` | the images that can be compared by their pixels |
| `image_usage` | which cells name the same image |
| `duplicate_images` | findings about their rows: in two parts, with different labels |
"""
