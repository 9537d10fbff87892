// Command steward is the LwM2M server with which a provider looks after its
// devices and hands them over to another.
package main

import (
	"os"

	"steward/cmd/internal/cli"
)

func main() { os.Exit(cli.Main()) }
