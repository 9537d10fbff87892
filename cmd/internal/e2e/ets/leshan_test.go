package ets_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/server"
)

// leshan are the behaviours of a server that the integration tests of Eclipse Leshan
// check and that no case of TestETS does, by their names. Codes are those of the
// specification where Leshan differs.
var leshan = []behaviour{
	{title: "BootstrapTest.bootstrapWithAdditionalAttributes", run: bootstrapMore},
	{title: "BootstrapTest.bootstrap_senmlcbor_only", run: bootstrapSenML},
	{title: "BootstrapTest.bootstrap_with_auto_id_for_security_object", run: bootstrapIDs},
	{title: "BootstrapTest.bootstrap_without_endpoint_name", run: bootstrapWithoutName},
	{title: "DynamicIPObserveTest.can_not_send_notification_if_client_ip_changes", run: strangers},
	{title: "DynamicIPObserveTest.can_send_notification_if_ip_changes", run: movedNotification},
	{title: "DynamicIPSendTest.can_send_if_client_ip_changes", run: movedSend},
	{title: "LockStepTest.observe_timestamped", run: observeWithTime},
	{title: "LockStepTest.read_composite_timestamped", run: compositeWithTime},
	{title: "LockStepTest.read_timestamped", run: readWithTime},
	{title: "LockStepTest.register_deregister_observe", run: lateObserve},
	{title: "LockStepTest.register_update_with_invalid_binding", run: badBindings},
	{title: "LockStepTest.register_with_binding", run: bindings},
	{title: "LockStepTest.register_with_invalid_request", run: emptyRegister},
	{title: "LockStepTest.send_with_acknowledged_request_without_response", run: unanswered},
	{title: "LockStepTest.send_without_acknowledged", run: unacknowledged},
	{title: "ObserveCompositeTimeStampTest.reject_response_for_unexpected_path", run: unexpectedPath},
	{title: "ObserveServerOnlyTest.can_handle_error_on_notification", run: badNotification},
	{title: "ObserveTest.can_observe_then_delete_it", run: observedGone},
	{title: "ObserveTimeStampTest.can_observe_timestamped_resource", run: history},
	{title: "PskTest.bad_psk_identity_or_key", run: badKeys, real: true},
	{title: "PskTest.psk_and_bad_endpoint", run: badEndpoint, real: true},
	{title: "PskTest.psk_identity_then_remove_security_info", run: removedKey, real: true},
	{title: "PskTest.registered_device_without_endpointname", run: registerByIdentity},
	{title: "QueueModeTest.awake_sleeping_awake_sleeping", run: awakeSleeping},
	{title: "ReadFailedTest", run: failures},
	{title: "ReadMultiValueTest.can_read_empty_object", run: emptyObject},
	{title: "ReadOpaqueValueTest.can_read_empty_opaque_resource", run: emptyOpaque},
	{title: "RegistrationTest.deregister_cancel_multiple_pending_request", run: deregisterEnds},
	{title: "RegistrationTest.register_update_deregister_reregister", run: lifeCycle},
	{title: "SecureBootstrapTest.bootstrap_without_endpointname", run: bootstrapByIdentity},
	{title: "SendTimestampedTest.server_handle_multiple_timestamped_node", run: sendHistory},
	{title: "ServerOnlySecurityTest.dont_sent_request_if_identity_change", run: otherIdentity},
	{title: "WriteMultiValueTest.can_write_replacing_object_instance", run: replaceInstance},
	{title: "WriteSingleValueTest.send_writerequest_with_bad_payload_raises_exception", run: badValue},
	{title: "X509Test.untrusted_selfsigned_or_bad_cn", run: badCertificates, real: true},
	{title: "X509Test.without_endpointname", run: nameOfCertificate, real: true},
	{title: "OscoreTest", not: noOSCORE},
	{title: "OscoreBootstrapTest", not: noOSCORE},
	{title: "RpkTest", test: "TestBootstrapByRawKey"},
}

// TestLeshan has them.
func TestLeshan(t *testing.T) { runAll(t, leshan) }

func emptyRegister(t *testing.T) {
	x := newWorld(t)
	d := x.device("")
	d.expect("Register", d.do(2, "/rd", query11, linkFormat, ""), 400)
	x.gone()
}

func bindings(t *testing.T) {
	x := newWorld(t)
	d := x.device("")
	d.register("ep=alpha&lt=60&b=UQ", links)
	if !x.registration().Queue {
		t.Error("b=UQ of 1.0 is no queue mode")
	}
	d.register("ep=alpha&lt=60&lwm2m=1.1&b=UT", links)
	if r := x.registration(); r.Binding != "UT" || r.Queue {
		t.Errorf("registration %+v", r)
	}
}

func badBindings(t *testing.T) {
	x := newWorld(t)
	d := x.device("")
	for query, bad := range map[string]string{"ep=alpha&lt=60": "UT", "ep=alpha&lt=60&lwm2m=1.1": "UQ"} {
		d.expect("Register b="+bad, d.do(2, "/rd", query+"&b="+bad, linkFormat, links), 400)
		d.register(query+"&b=U", links)
		d.update("b="+bad, 400)
		if r := x.registration(); r.Binding != "U" || r.Queue {
			t.Errorf("registration %+v", r)
		}
	}
}

func unacknowledged(t *testing.T) {
	x, d := registered(t, query11, links)
	d.hears(false)
	if _, err := x.Read(t.Context(), "alpha", path("/3/0/0")); !errors.Is(err, coap.ErrTimeout) {
		t.Errorf("Read = %v", err)
	}
}

func unanswered(t *testing.T) {
	x, d := registered(t, "ep=alpha&lt=0&lwm2m=1.1&b=U", links)
	d.on("GET /3/0/0", func(message) reply { return reply{code: 1} })
	if _, err := x.Read(t.Context(), "alpha", path("/3/0/0")); err == nil {
		t.Error("Read without an answer succeeds")
	}
}

func lateObserve(t *testing.T) {
	x, d := registered(t, query11, links)
	d.on("GET /3/0/9", func(message) reply { return reply{code: 1} })
	ended := make(chan error, 1)
	go func() { ended <- x.Observe(t.Context(), "alpha", path("/3/0/9"), "test") }()
	synctest.Wait()
	asked := d.taken()
	d.expect("De-register", d.do(4, d.location, "", -1, ""), 202)
	<-ended
	if d.notify(con, asked[0].token, 1, text("1")) != rst {
		t.Error("the late answer is taken")
	}
	if n := x.engine.Stats().Observations; n != 0 {
		t.Errorf("%d observations", n)
	}
}

func readWithTime(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	d.says("GET /3/0/9", 205, "110", hexOf(`[{"n":"/3/0/9","v":7,"t":1700000000}]`))
	entries, err := x.Read(t.Context(), "alpha", path("/3/0/9"))
	x.must("Read", err)
	if len(entries) != 1 || entries[0].Time.Unix() != 1700000000 || entries[0].Value.Plain() != "7" {
		t.Errorf("entries %v", entries)
	}
}

func observeWithTime(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	d.says("GET /3/0/9", 205, "110", hexOf(`[{"n":"/3/0/9","v":7,"t":1700000000}]`))
	x.must("Observe", x.Observe(t.Context(), "alpha", path("/3/0/9"), "test"))
	if v := x.value("/3/0/9"); v != "7" {
		t.Errorf("value %q", v)
	}
}

func compositeWithTime(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	d.says("FETCH /", 205, "110", hexOf(`[{"n":"/3/0/9","v":7,"t":1700000000},{"n":"/1/0/1","v":9,"t":1700000001}]`))
	entries, err := x.ReadComposite(t.Context(), "alpha", paths("/3/0/9", "/1/0/1"))
	x.must("Read-Composite", err)
	same(t, "entries", texts(entries), []string{"/1/0/1=9", "/3/0/9=7"})
	x.observedTogether(d, `[{"n":"/3/0/9","v":8,"t":1700000002},{"n":"/1/0/1","v":9,"t":1700000002}]`, "/3/0/9", "/1/0/1")
	if v := x.value("/3/0/9"); v != "8" {
		t.Errorf("value %q", v)
	}
}

func deregisterEnds(t *testing.T) {
	x, d := registered(t, query11, links)
	keys := []string{"/3/0/0", "/3/0/1", "/3/0/2"}
	ended := make(chan error, len(keys))
	for _, p := range keys {
		d.on("GET "+p, func(message) reply { return reply{code: 1} })
		go func() { _, err := x.Read(t.Context(), "alpha", path(p)); ended <- err }()
	}
	synctest.Wait()
	d.expect("De-register", d.do(4, d.location, "", -1, ""), 202)
	for range keys {
		if err := <-ended; !errors.Is(err, server.ErrEnded) {
			t.Errorf("Read = %v", err)
		}
	}
}

func lifeCycle(t *testing.T) {
	x, d := registered(t, query11, links)
	first := d.location
	d.update("", 204)
	d.expect("De-register", d.do(4, first, "", -1, ""), 202)
	d.register(query11, links)
	if d.location == first {
		t.Error("the location is used again")
	}
	kinds := make([]server.Happening, 0, 4)
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.events {
		kinds = append(kinds, e.Kind)
	}
	want := []server.Happening{server.Registered, server.Updated, server.Deregistered, server.Registered}
	if !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
}

func awakeSleeping(t *testing.T) {
	x, d := registered(t, "ep=alpha&lt=86400&lwm2m=1.1&b=U&Q", links)
	for range 2 {
		if x.Presence("alpha").Asleep {
			t.Error("asleep after a message")
		}
		time.Sleep(94 * time.Second)
		if !x.Presence("alpha").Asleep {
			t.Error("awake after 94 s")
		}
		d.update("", 204)
	}
}
