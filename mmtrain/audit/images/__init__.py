"""What is wrong with the pictures of a table.

| module | does |
|---|---|
| `findings` | all of them, for every column |
| `column` | a column, its files and its pixels |
| `files` | header and hash of every file |
| `kinds` | findings about files: gone, damaged, of several kinds |
| `sources` | findings about kinds of files that go with an answer |
| `telling` | findings about size or brightness that foretells an answer |
| `looks` | brightness, contrast and perceptual hash of every picture |
| `levels` | findings about pictures of one colour, and far too dark or bright ones |
| `twins` | which pictures look the same |
| `comparable` | the pictures that can be compared by their pixels |
| `uses` | which cells name the same picture |
| `repeats` | findings about their rows: in two parts, with different labels |
"""
