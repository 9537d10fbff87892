//go:build race

package bench_test

// raced says that the race detector watches.
const raced = true
