package e2e_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

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

// scriptUntil repeats a command until it prints what an expression matches: until
// EXPRESSION PROGRAM [ARGUMENT...].
func scriptUntil(ts *testscript.TestScript, _ bool, args []string) {
	const least = 2
	if len(args) < least {
		ts.Fatalf("usage: until EXPRESSION PROGRAM [ARGUMENT...]")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	ts.Check(poll(context.Background(), 2*scriptLimit, func() error {
		_ = ts.Exec(args[1], args[2:]...) // what it prints counts
		if printed := ts.ReadFile("stdout"); !want.MatchString(printed) {
			return fmt.Errorf("%s: no match for %s in %q", strings.Join(args[1:], " "), args[0], printed)
		}
		return nil
	}))
}
