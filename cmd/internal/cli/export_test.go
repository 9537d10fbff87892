package cli

// NewRoot makes the command tree.
var NewRoot = newRoot

// Examples are those of commands that have none of their own.
var Examples = examples

// CheckVariables and Distance are of the variables of the environment.
var (
	CheckVariables = checkVariables
	Distance       = distance
)
