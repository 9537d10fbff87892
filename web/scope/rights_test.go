package scope_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"steward/web"
	"steward/web/scope"
	"steward/web/webtest"
)

// What a method answers who may see no device.
const (
	hidden = "hidden" // as if there were none
	empty  = "empty"  // nothing, without an error
	beyond = "beyond" // 403: it concerns more than their devices
	public = "public" // it is the provider's, and about no device
)

// decided says of every method of every service what it is, by hand: a new one fails
// the test below until somebody has decided.
var decided = map[string]string{
	"Overviews.Overview": public, "Activity.AuditChain": beyond,
	"Activity.ListAudit": public, // of what they did themselves: TestAudit

	"Devices.ListDevices": empty, "Devices.Device": hidden, "Devices.Values": hidden, "Devices.ChangeTags": hidden,
	"Devices.RetireDevice": hidden, "Devices.EraseDevice": hidden,
	"Operations.Do": hidden, "Operations.ListOperations": hidden, "Operations.DeviceOperation": hidden,
	"Operations.CancelOperation": hidden,

	"Observations.ObservationTemplates": public, "Observations.PutObservationTemplate": beyond,
	"Observations.RemoveObservationTemplate": beyond, "Observations.DeviceObservations": hidden,
	"Observations.ReconcileObservations": hidden,

	"Groups.Groups": empty, "Groups.Group": hidden, "Groups.PutGroup": beyond, "Groups.RemoveGroup": beyond,
	"Groups.ChangeMembers": beyond, "Groups.Contains": hidden,

	"Factories.FactoryAuthorities": public, "Factories.AddFactoryAuthority": beyond, "Factories.ImportDevice": beyond,
	"Factories.ImportDevices": beyond,

	"Bootstraps.BootstrapProfiles": public, "Bootstraps.PutBootstrapProfile": beyond,
	"Bootstraps.RemoveBootstrapProfile": beyond, "Bootstraps.DeviceKeys": hidden, "Bootstraps.PutDeviceKey": hidden,
	"Bootstraps.RemoveDeviceKey": hidden,

	"Series.SeriesOf": hidden, "Series.Samples": hidden, "Series.SeriesRules": public, "Series.PutSeriesRule": beyond,
	"Series.RemoveSeriesRule": beyond,

	"Definitions.ObjectDefinitions": public, "Definitions.AddObjectDefinitions": beyond,
	"Definitions.RemoveObjectDefinition": beyond,

	"Traces.Trace": hidden, "Traces.StartTrace": hidden, "Traces.StopTrace": hidden, "Traces.TraceFile": hidden,

	"Certificates.ListCertificates": empty, "Certificates.Certificate": hidden, "Certificates.Revoke": hidden,
	"Certificates.Authorities": public, "Certificates.Inventory": public, // zeros

	"Webhooks.ListWebhooks": beyond, "Webhooks.Webhook": beyond, "Webhooks.AddWebhook": beyond,
	"Webhooks.EditWebhook": beyond, "Webhooks.RemoveWebhook": beyond, "Webhooks.CommandWebhook": beyond,
	"Webhooks.WebhookLetters": beyond, "Webhooks.RedeliverLetter": beyond,

	"OneTimePasswords.ListPasswords": beyond, "OneTimePasswords.MakePassword": beyond,
	"OneTimePasswords.WithdrawPassword": beyond,

	"UpstreamRequests.ListUpstream": beyond, "UpstreamRequests.UpstreamRequest": beyond,
	"UpstreamRequests.ImportUpstream": beyond, "UpstreamRequests.DecideUpstream": beyond,

	"CertificateRequests.ListCertificateRequests": empty, "CertificateRequests.DecideCertificateRequest": beyond,

	"Publications.Publication": public,

	"Enrolments.DeviceEnrolment": hidden, "Enrolments.OrderEnrolment": hidden, "Enrolments.ListEnrolments": empty,

	"Releases.ListReleases": public, "Releases.Release": public, "Releases.AddRelease": beyond,
	"Releases.DecideRelease": beyond,

	"Bills.SetBill": beyond, "Bills.Bill": public, "Bills.Parts": public, "Bills.Findings": public,
	"Vulnerabilities.ListVulnerabilities": public, "Vulnerabilities.VulnerabilityLists": public,
	"Vulnerabilities.ImportVulnerabilities": beyond, "Vulnerabilities.RemoveVulnerabilities": beyond,

	"Campaigns.ListCampaigns": empty, "Campaigns.Campaign": hidden, "Campaigns.Jobs": hidden,
	"Campaigns.CreateCampaign": hidden, "Campaigns.PreviewCampaign": hidden, "Campaigns.CommandCampaign": hidden,
	"Campaigns.CampaignReport": hidden,

	"Transfers.ListTransfers": empty, "Transfers.Transfer": hidden, "Transfers.Rows": hidden, "Transfers.Draft": hidden,
	"Transfers.Command": hidden, "Transfers.Receipts": hidden,

	"Partners.ListPartners": public, "Partners.Partner": public, "Partners.AddPartner": beyond,
	"Partners.SetPartnerLimits": beyond,
	"Partners.SetPartnerState":  beyond, "Partners.Identity": public,

	"Settings.DeviceSettings": public, "Settings.Retention": public,

	"Bulks.PreviewBulk": public, "Bulks.StartBulk": public, // they go by what is bounded
	"Bulks.ListBulks": empty, "Bulks.DecideBulk": hidden, "Bulks.Bulk": hidden, "Bulks.BulkResults": hidden,

	"Views.Views": public, "Views.PutView": public, "Views.RemoveView": beyond, // questions; that of the fake is shared

	"TransferRecords.TransferRecord": hidden, "TransferRecords.TransferReport": hidden,

	"Mandates.MandateRequest": hidden, "Mandates.Mandate": hidden, "Mandates.GiveMandate": hidden,

	"Attestations.Attestation": hidden, "Attestations.SetAttestation": hidden,
	"Attestations.Attest":                hidden,
	"AttestationRounds.ListAttestations": empty, "AttestationRounds.AttestationRules": public,
	"AttestationRounds.PutAttestationRule": beyond, "AttestationRounds.RemoveAttestationRule": beyond,

	"Upkeep.Backup": beyond, "Upkeep.Restoration": beyond, "Upkeep.ListRestoredRights": beyond,
	"Upkeep.Reconcile": beyond, "Upkeep.LogLevel": beyond, "Upkeep.SetLogLevel": beyond,
}

// none is a fake whose groups have no device.
type none struct{ *webtest.Fake }

func (none) Contains(context.Context, string, string) (bool, error) { return false, nil }

// ListDevices has every device in the group "theirs" only.
func (n none) ListDevices(ctx context.Context, f web.DeviceFilter, p web.Page) (web.List[web.Device], error) {
	if f.Group == "own" {
		return web.List[web.Device]{}, nil
	}
	return n.Fake.ListDevices(ctx, f, p)
}

// as returns a context of somebody who is an administrator of some groups.
func as(t *testing.T, groups web.Scope) context.Context {
	t.Helper()
	return web.WithActor(t.Context(), web.Actor{Name: "ann", Role: web.RoleAdmin, Via: web.ViaSession, Scope: groups})
}

// call calls a method with an id that exists in place of every text.
func call(ctx context.Context, method reflect.Value) (out []reflect.Value, err error) {
	var in []reflect.Value
	for i := range method.Type().NumIn() {
		switch at := method.Type().In(i); {
		case i == 0:
			in = append(in, reflect.ValueOf(ctx))
		case at == reflect.TypeFor[web.Actor]():
			in = append(in, reflect.ValueOf(web.ActorFrom(ctx)))
		case at == reflect.TypeFor[web.NewCampaign]():
			in = append(in, reflect.ValueOf(web.NewCampaign{Devices: []string{webtest.ID}}))
		case at == reflect.TypeFor[web.NewTransfer]():
			in = append(in, reflect.ValueOf(web.NewTransfer{Devices: []string{webtest.ID}}))
		case at.Kind() == reflect.String:
			in = append(in, reflect.ValueOf(webtest.ID).Convert(at))
		default:
			in = append(in, reflect.Zero(at))
		}
	}
	out = method.Call(in)
	err, _ = reflect.TypeAssert[error](out[len(out)-1])
	return out[:len(out)-1], err
}

// methods calls each with every method of every service.
func methods(t *testing.T, s web.Services, each func(name string, method reflect.Value)) {
	t.Helper()
	all := reflect.ValueOf(s)
	for i := range all.NumField() {
		field := all.Type().Field(i)
		if all.Field(i).IsNil() {
			t.Errorf("package scope has no %s", field.Name)
			continue
		}
		for m := range field.Type.Methods() {
			each(field.Type.Name()+"."+m.Name, all.Field(i).Elem().MethodByName(m.Name))
		}
	}
}

func TestEveryMethodIsBounded(t *testing.T) {
	const secret = "what others own"
	fake := none{&webtest.Fake{Text: secret}}
	services := fake.Services()
	services.Groups, services.Devices = fake, fake
	bounded := scope.Services(services)
	methods(t, bounded, func(name string, method reflect.Value) {
		before := len(fake.Calls())
		out, err := call(as(t, "own"), method)
		told := ""
		if len(out) > 0 {
			told = fmt.Sprintf("%+v", out[0].Interface())
		}
		switch is := decided[name]; is {
		case hidden:
			if !errors.Is(err, web.ErrNotFound) {
				t.Errorf("%s = %v, want ErrNotFound", name, err)
			}
		case beyond:
			if !errors.Is(err, web.ErrForbidden) {
				t.Errorf("%s = %v, want ErrForbidden", name, err)
			}
		case empty, public:
			if err != nil {
				t.Errorf("%s = %v", name, err)
			}
		default:
			t.Errorf("%s: nobody decided what it is to those who do not see all devices", name)
		}
		if decided[name] != public && (strings.Contains(told, secret) || strings.Contains(told, webtest.ID)) {
			t.Errorf("%s told %s", name, told)
		}
		if len(fake.Calls()) != before && name != "Bulks.StartBulk" && name != "Views.PutView" {
			t.Errorf("%s reached the service", name)
		}
	})
}

func TestNobodySeesAnything(t *testing.T) {
	fake := &webtest.Fake{Text: "x"}
	methods(t, scope.Services(fake.Services()), func(name string, method reflect.Value) {
		if _, err := call(t.Context(), method); !errors.Is(err, web.ErrSignedOut) {
			t.Errorf("%s = %v, want ErrSignedOut", name, err)
		}
	})
	if n := len(fake.Calls()); n != 0 {
		t.Errorf("%d calls reached the services", n)
	}
}

// TestAllDevices passes everything on for those who see all.
func TestAllDevices(t *testing.T) {
	fake := &webtest.Fake{Text: "x"}
	type answer struct {
		values []any
		err    error
	}
	plain := map[string]answer{}
	methods(t, fake.Services(), func(name string, method reflect.Value) {
		out, err := call(as(t, ""), method)
		plain[name] = answer{values(out), err}
	})
	methods(t, scope.Services(fake.Services()), func(name string, method reflect.Value) {
		out, err := call(as(t, ""), method)
		if got := (answer{values(out), err}); !reflect.DeepEqual(got, plain[name]) {
			t.Errorf("%s = %+v\nwant %+v", name, got, plain[name])
		}
	})
}

// TestOwnGroup lets everything about devices pass where the group has them.
func TestOwnGroup(t *testing.T) {
	fake := &webtest.Fake{Text: "own"}
	methods(t, scope.Services(fake.Services()), func(name string, method reflect.Value) {
		if strings.HasPrefix(name, "Groups.") || strings.HasPrefix(name, "Bulks.") {
			return
		}
		_, err := call(as(t, "own"), method)
		if is := decided[name]; (err == nil) != (is != beyond) {
			t.Errorf("%s (%s) = %v", name, is, err)
		}
	})
}

func values(out []reflect.Value) (v []any) {
	for _, o := range out {
		v = append(v, o.Interface())
	}
	return v
}
