package services

import (
	"context"
	"slices"
	"strconv"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/web"
)

// overviews implements web.Overviews.
type overviews struct{ *base }

// soonCertificate is when an end comes near, as web.Overview counts.
const soonCertificate = daysWarning * day

// Overview implements web.Overviews.
func (s *overviews) Overview(ctx context.Context, now time.Time) (web.Overview, error) {
	devices, err := s.view.DeviceCounts(ctx)
	if err != nil {
		return web.Overview{}, translate(err)
	}
	// The server knows them without a look at all registrations. One that is not ours
	// has none, but for the moment of its leaving.
	online := min(s.Server.Registered(), devices.Owned)
	out := web.Overview{
		Provider: s.Name, Devices: devices.Expected + devices.Owned + devices.Left, Online: online,
		Offline: devices.Owned - online, Expected: devices.Expected, Left: devices.Left,
	}
	if s.Rates != nil {
		out.Rates = s.Rates.Lately(time.Now())
	}
	if out.Certificates, out.ExpiringSoon, err = s.view.CertificateCounts(ctx, now, now.Add(soonCertificate)); err != nil {
		return web.Overview{}, translate(err)
	}
	if out.CampaignsActive, err = s.view.RunningCampaigns(ctx); err != nil {
		return web.Overview{}, translate(err)
	}
	if out.TransfersActive, out.AwaitApproval, err = s.countTransfers(ctx); err != nil {
		return web.Overview{}, err
	}
	if err = s.renewals(ctx, &out); err != nil {
		return web.Overview{}, err
	}
	exposed, err := s.view.Exposed(ctx)
	if err != nil {
		return web.Overview{}, translate(err)
	}
	alerts, others, err := s.ending(ctx, now, out.ExpiringSoon)
	if err != nil {
		return web.Overview{}, translate(err)
	}
	waiting, err := s.waitNotices(ctx)
	if err != nil {
		return web.Overview{}, err
	}
	if err := s.DB.Storage(); err != nil {
		out.Notices = append(out.Notices, web.Notice{
			Level: web.LevelBad,
			Text: "Nothing can be stored: the disk is full, read-only or failing. Devices are served; new work is refused " +
				"until there is space, and lists show what was stored last.",
		})
	}
	deaf, err := s.deafNotices(ctx)
	if err != nil {
		return web.Overview{}, err
	}
	out.Notices = append(out.Notices, deaf...)
	out.Notices = append(out.Notices, s.notices(out, devices, exposed, others, alerts)...)
	out.Notices = append(out.Notices, waiting...)
	return out, nil
}

// ending returns what is to be told of the provider's own certificates, and how many of
// the soon that end soon are others: its own are told of one by one, but for those that it
// renews by itself, which are always near their end.
func (s *overviews) ending(ctx context.Context, now time.Time, soon int) (
	alerts []web.CertificateAlert, others int, err error,
) {
	own, err := s.view.OwnCertificates(ctx, now, now.Add(soonCertificate), maxAlerts)
	if err != nil {
		return nil, 0, err
	}
	alerts, err = s.alerts(ctx, now)
	return alerts, max(soon-len(own), 0), err
}

// notices tells what an operator should know, worst first.
func (s *overviews) notices(
	o web.Overview, d sqlite.DeviceCounts, exposed, others int, alerts []web.CertificateAlert,
) (out []web.Notice) {
	if exposed > 0 {
		out = append(out, web.Notice{
			Level: web.LevelWarning, Link: "/devices?exposed=*",
			Text: count(exposed, "device runs", "devices run") + " a release with a known vulnerability.",
		})
	}
	for _, a := range alerts {
		out = append(out, web.Notice{Level: a.Level, Link: "/certificates/" + a.Certificate, Text: a.Text})
	}
	if o.AwaitApproval > 0 {
		out = append(out, web.Notice{
			Level: web.LevelWarning, Link: "/transfers", Text: count(o.AwaitApproval, "transfer waits", "transfers wait") +
				" for a decision.",
		})
	}
	if d.Insecure > 0 {
		out = append(out, web.Notice{
			Level: web.LevelWarning, Link: "/devices?insecure=true",
			Text: count(d.Insecure, "device is", "devices are") + " registered without security.",
		})
	}
	if others > 0 {
		out = append(out, web.Notice{
			Level: web.LevelWarning, Link: "/certificates?within=30",
			Text: count(others, "certificate ends", "certificates end") + " within 30 days.",
		})
	}
	out = append(out, renewalNotices(o)...)
	out = append(out, attestationNotices(o)...)
	slices.SortStableFunc(out, func(a, b web.Notice) int { return badness(b.Level) - badness(a.Level) })
	return out
}

func badness(l web.Level) int {
	return slices.Index([]web.Level{web.LevelWarning, web.LevelBad}, l)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
