package e2e_test

import (
	"encoding/base64"

	"github.com/rogpeppe/go-internal/testscript"

	trusttransfer "steward/transfer"
)

// scriptOrder sets a variable to the order of the first device of a record, in Base64:
// order RECORD VARIABLE.
func scriptOrder(ts *testscript.TestScript, _ bool, args []string) {
	const arguments = 2
	if len(args) != arguments {
		ts.Fatalf("usage: order RECORD VARIABLE")
	}
	record, err := trusttransfer.ParseRecord([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Setenv(args[1], base64.StdEncoding.EncodeToString(record.Devices[0].Message))
}
