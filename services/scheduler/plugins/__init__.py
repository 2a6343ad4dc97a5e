"""One rule a file: the sentence people read when it refuses, or the number by which it ranks."""
