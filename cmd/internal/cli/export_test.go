package cli

// NewRoot makes the command tree.
var NewRoot = newRoot
