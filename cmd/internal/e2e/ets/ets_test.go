package ets_test

import (
	"testing"
	"testing/synctest"

	"steward/suit/rollout"
)

// A case is one of the Enabler Test Specification in which the server has
// behaviour of its own.
type etsCase struct {
	id, title string
	run       func(*testing.T)
	real      bool   // runs over real sockets
	not       string // why it is not built
}

const noOSCORE = "OSCORE"

// cases are all of them, in the order of ETS INT 1.2.
var cases = []etsCase{
	{id: "1.1-int-0", title: "client-initiated bootstrap", run: ets0},
	{id: "1.1-int-1", title: "bootstrap of an account with a key", run: ets1, real: true},
	{id: "1.1-int-2", title: "bootstrap of an account with a certificate", run: ets2, real: true},
	{id: "1.1-int-4", title: "Bootstrap-Delete", run: ets4},
	{id: "1.1-int-5", title: "server-initiated bootstrap", run: ets5},
	{id: "1.1-int-7", title: "fallback to bootstrap", run: ets7},
	{id: "1.1-int-8", title: "Bootstrap-Read", run: ets8},
	{id: "1.1-int-9", title: "configuration consistency", run: ets9},
	{id: "1.1-int-10", title: "bootstrap with EST", run: ets10, real: true},
	{id: "1.2-int-11", title: "bootstrap over OSCORE", not: noOSCORE},
	{id: "1.2-int-12", title: "Bootstrap-Pack", run: ets12},
	{id: "1.2-int-19", title: "bootstrap over MQTT", not: "MQTT"},
	{id: "1.1-int-101", title: "initial registration", run: ets101},
	{id: "1.1-int-102", title: "registration update", run: ets102},
	{id: "1.1-int-103", title: "de-registration", run: ets103},
	{id: "1.1-int-104", title: "update trigger", run: ets104},
	{id: "1.1-int-105", title: "discarded update", run: ets105},
	{id: "1.1-int-106", title: "TCP binding", run: ets106, real: true},
	{id: "1.1-int-107", title: "extending the lifetime", run: ets107},
	{id: "1.1-int-108", title: "turn on queue mode", run: ets108},
	{id: "1.1-int-109", title: "queue mode behaviour", run: ets109},
	{id: "1.2-int-110", title: "profile id", run: ets110},
	{id: "1.2-int-111", title: "profile id and object list", run: ets111},
	{id: "1.1-int-221", title: "operations on Security", run: ets221},
	{id: "1.1-int-226", title: "partial write of an instance", run: ets226},
	{id: "1.1-int-227", title: "replacement of a resource", run: ets227},
	{id: "1.1-int-230", title: "Write-Composite", run: ets230},
	{id: "1.1-int-233", title: "write in SenML CBOR", run: ets233},
	{id: "1.1-int-234", title: "write in SenML JSON", run: ets234},
	{id: "1.1-int-237", title: "answers in any format", run: ets237},
	{id: "1.1-int-241", title: "reboot", run: ets241},
	{id: "1.1-int-301", title: "observe and notify", run: ets301},
	{id: "1.1-int-302", title: "cancel by reset", run: ets302},
	{id: "1.1-int-303", title: "cancel by Observe 1", run: ets303},
	{id: "1.1-int-304", title: "Observe-Composite", run: ets304},
	{id: "1.1-int-305", title: "cancel of a composite observation", run: ets305},
	{id: "1.1-int-306", title: "Send", run: ets306},
	{id: "1.1-int-307", title: "muting Send", run: ets307},
	{id: "1.1-int-308", title: "composite observation and Create", run: ets308},
	{id: "1.1-int-309", title: "composite observation and Delete", run: ets309},
	{id: "1.1-int-310", title: "composite observation and attributes", run: ets310},
	{id: "1.1-int-311", title: "Send of several values", run: ets311},
	{id: "1.1-int-401", title: "DTLS with a pre-shared key", run: ets401, real: true},
	{id: "1.1-int-402", title: "DTLS with a certificate", run: ets402, real: true},
	{id: "1.1-int-403", title: "wrong name of the server", run: ets403, real: true},
	{id: "1.1-int-404", title: "TLS with a certificate", run: ets404, real: true},
	{id: "1.1-int-405", title: "OSCORE", not: noOSCORE},
	{id: "1.1-int-406", title: "TLS with a pre-shared key", not: "crypto/tls has no pre-shared keys"},
	{id: "1.1-int-755", title: "firmware: write of Package", run: ets755},
	{id: "1.1-int-756", title: "firmware: write of Package URI", run: ets756},
	{id: "1.1-int-760", title: "firmware: observation of State", run: ets760},
	{id: "1.1-int-770", title: "firmware: push", run: ets770},
	{id: "1.1-int-771", title: "firmware: pull", run: ets771},
	{id: "1.1-int-772", title: "firmware: update without package", run: ets772},
	{id: "1.1-int-773", title: "firmware: not enough flash", run: failing(2, rollout.Push)},
	{id: "1.1-int-774", title: "firmware: not enough memory", run: failing(3, rollout.Push)},
	{id: "1.1-int-775", title: "firmware: connection lost", run: failing(4, rollout.Pull)},
	{id: "1.1-int-776", title: "firmware: integrity", run: failing(5, rollout.Push)},
	{id: "1.1-int-777", title: "firmware: package type", run: failing(6, rollout.Push)},
	{id: "1.1-int-778", title: "firmware: URI", run: failing(7, rollout.Pull)},
	{id: "1.1-int-779", title: "firmware: installation failed", run: ets779},
	{id: "1.1-int-950", title: "two servers: registration", run: ets950},
	{id: "1.1-int-951", title: "two servers: attributes", run: ets951},
	{id: "CONMGMT-1.1-int-1250", title: "APN configuration", run: ets1250},
	{id: "CONMGMT-1.1-int-1350", title: "bearer selection", run: ets1350},
}

// TestETS runs all cases that are built.
func TestETS(t *testing.T) {
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			switch {
			case c.not != "":
				t.Skip("not built: " + c.not)
			case c.real:
				c.run(t)
			default:
				synctest.Test(t, c.run)
			}
		})
	}
}
