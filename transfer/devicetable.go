package transfer

import "steward/lwm2m/machine"

// A DeviceEvent is what can happen to a device in a transfer (§5).
type DeviceEvent string

// The events of the device.
const (
	OnAccept     DeviceEvent = "message accepted"
	OnCommit     DeviceEvent = "commit"
	OnAbort      DeviceEvent = "abort"
	OnExpire     DeviceEvent = "window over" // or, without a clock, its longest wait
	OnWiped      DeviceEvent = "wiped"
	OnAttest     DeviceEvent = "attestation next"
	OnUpdate     DeviceEvent = "update next"
	OnEnrol      DeviceEvent = "enrolment next"
	OnEnrolled   DeviceEvent = "enrolled"
	OnRegistered DeviceEvent = "registered"
	OnFinalise   DeviceEvent = "finalise" // executed, or by itself once DONE was acknowledged
	OnReturn     DeviceEvent = "return"
	OnGraceOver  DeviceEvent = "grace over"
	OnRefused    DeviceEvent = "refused"   // for good
	OnTryAgain   DeviceEvent = "try again" // FALLBACK finds nobody: the new domain's turn
)

// A DeviceEffect is one step of a transition. Steps are performed in order, each
// is idempotent, and the journal remembers which comes next.
type DeviceEffect string

// The steps that Device performs itself, each with one journal write.
const (
	StepMakeKey      DeviceEffect = "make next key"
	StepReceipt      DeviceEffect = "sign receipt"
	StepKeepFallback DeviceEffect = "keep fallback record"
	StepWipeKeys     DeviceEffect = "wipe keys" // operational key and certificate
	StepWipeAnchors  DeviceEffect = "wipe anchors"
	StepUnstage      DeviceEffect = "unstage anchors"
	StepForget       DeviceEffect = "forget message" // and its mandate and keys
	StepBackKey      DeviceEffect = "make key for the way back"
	StepAdopt        DeviceEffect = "adopt new domain" // Finalise: the truststore becomes label 8
	StepRestore      DeviceEffect = "restore former domain"
	StepNewAccount   DeviceEffect = "new account"
)

// The steps that the program around Device performs.
const (
	// DoNotify tells observers of resources State and Receipt, if any.
	DoNotify DeviceEffect = "notify"
	// DoDeregister sends De-register on the present registration; best effort.
	DoDeregister DeviceEffect = "de-register"
	// DoWipeTransport erases DTLS state, PSKs and all Security and Server
	// instances, that of the bootstrap server included.
	DoWipeTransport DeviceEffect = "wipe transport"
	// DoWipeApplication erases data, logs, histories, notifications, the other
	// SUIT slot and staging, as Effect.Reset demands.
	DoWipeApplication DeviceEffect = "wipe application"
	// DoReboot restarts the device. Call Done before restarting.
	DoReboot DeviceEffect = "reboot"
	// DoReport sends Effect.Receipt to the former provider, best effort: an
	// enrolment there cannot succeed before it has it.
	DoReport DeviceEffect = "report receipt"
	// DoServe makes the device serve the provider of its current domain again:
	// it registers at Account.ServerURI from now on.
	DoServe DeviceEffect = "serve"
)

// The activities: what the device does in a state until an event ends it.
const (
	DoAttest   DeviceEffect = "attest"         // at Effect.URI; then Attested, Failed or Refused
	DoUpdate   DeviceEffect = "ask for update" // at Effect.URI; then Updated, Failed or Refused
	DoEnrol    DeviceEffect = "enrol"          // at Effect.URI; then Enrolled, Failed or Refused
	DoRegister DeviceEffect = "register"       // at Account.ServerURI; then Registered, Failed or Refused
)

// waits reports whether e is an activity.
func (e DeviceEffect) waits() bool {
	return e == DoAttest || e == DoUpdate || e == DoEnrol || e == DoRegister
}

// DeviceTable is the machine of the device. It starts in IDLE.
func DeviceTable() machine.Table[DeviceState, DeviceEvent, DeviceEffect] {
	fallback := []DeviceEffect{
		StepWipeKeys, DoWipeTransport, DoWipeApplication, StepBackKey, StepReceipt, DoNotify, DoReport, DoEnrol,
	}
	t := machine.Table[DeviceState, DeviceEvent, DeviceEffect]{
		deviceRow(Ready, OnCommit, Committed, StepReceipt, DoNotify, DoDeregister, StepKeepFallback, StepWipeKeys,
			DoWipeTransport, DoWipeApplication, StepWipeAnchors, DoReboot),
		deviceRow(Ready, OnAbort, Expired, StepUnstage, StepReceipt, StepForget, DoNotify),
		deviceRow(Ready, OnExpire, Expired, StepUnstage, StepReceipt, StepForget, DoNotify),
		deviceRow(Committed, OnWiped, Wiped),
		deviceRow(Wiped, OnAttest, Attest, DoAttest),
		deviceRow(Wiped, OnUpdate, Updating, DoUpdate),
		deviceRow(Wiped, OnEnrol, Enrolling, DoEnrol),
		deviceRow(Attest, OnUpdate, Updating, DoUpdate),
		deviceRow(Attest, OnEnrol, Enrolling, DoEnrol),
		deviceRow(Updating, OnEnrol, Enrolling, DoEnrol),
		deviceRow(Enrolling, OnEnrolled, Register, StepNewAccount, DoRegister),
		deviceRow(Register, OnRegistered, Done, StepReceipt, DoNotify),
		deviceRow(Done, OnFinalise, Finalised, StepAdopt, StepReceipt, StepForget, DoNotify),
		deviceRow(Done, OnReturn, InFall, fallback...),
		// It has not been able to register for a whole grace: its certificate may have
		// been revoked because the former provider was about to take it back.
		deviceRow(Done, OnGraceOver, InFall, fallback...),
		deviceRow(InFall, OnEnrolled, FellBack, StepRestore, StepReceipt, StepForget, DoNotify, DoServe),
		deviceRow(InFall, OnTryAgain, Enrolling, DoWipeTransport, DoEnrol),
	}
	for _, s := range []DeviceState{Idle, Finalised, FellBack, Expired} {
		t = append(t, deviceRow(s, OnAccept, Ready, StepMakeKey, StepReceipt, DoNotify))
	}
	for _, s := range []DeviceState{Attest, Updating, Enrolling, Register} {
		t = append(t, deviceRow(s, OnGraceOver, InFall, fallback...), deviceRow(s, OnRefused, InFall, fallback...))
	}
	return t
}

func deviceRow(from DeviceState, on DeviceEvent, to DeviceState, do ...DeviceEffect) (
	row machine.Row[DeviceState, DeviceEvent, DeviceEffect],
) {
	row.From, row.On, row.To, row.Do = from, on, to, do
	return row
}
