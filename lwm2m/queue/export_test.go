package queue

// Secret reports whether nothing is kept of what is below one of the paths.
func Secret(paths string) bool { return secret(paths) }
