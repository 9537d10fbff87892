//go:build !race

package remote_test

// raced says that the race detector watches.
const raced = false
