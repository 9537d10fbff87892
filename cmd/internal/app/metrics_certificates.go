package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"steward/web"
)

// A certificateCollector turns the counts of the inventory into metrics.
type certificateCollector struct {
	read func(context.Context) (web.Inventory, error)
	log  *slog.Logger
}

var (
	certificatesNow = prometheus.NewDesc("steward_certificates", "Certificates of the inventory by state.",
		[]string{"kind", "profile", "state"}, nil)
	certificatesEnding = prometheus.NewDesc("steward_certificates_ending",
		"Live certificates that end within so many days.", []string{"days"}, nil)
	certificateAlerts = prometheus.NewDesc("steward_certificate_alert_days",
		"Days that are left to a certificate of the provider's own that ends soon and has no successor.",
		[]string{"kind", "subject"}, nil)
)

// Describe implements prometheus.Collector.
func (certificateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{certificatesNow, certificatesEnding, certificateAlerts} {
		ch <- d
	}
}

// collectTime bounds one reading of the database.
const collectTime = 5 * time.Second

// Collect implements prometheus.Collector.
func (c certificateCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	i, err := c.read(ctx)
	if err != nil {
		c.log.LogAttrs(ctx, slog.LevelError, "counting certificates", slog.Any("error", err))
		return
	}
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	for _, k := range i.Kinds {
		gauge(certificatesNow, k.Live, k.Kind, k.Profile, string(web.CertificateLive))
		gauge(certificatesNow, k.Expired(), k.Kind, k.Profile, string(web.CertificateExpired))
		gauge(certificatesNow, k.Revoked, k.Kind, k.Profile, string(web.CertificateRevoked))
	}
	gauge(certificatesEnding, i.Ending7, "7")
	gauge(certificatesEnding, i.Ending30, "30")
	gauge(certificatesEnding, i.Ending90, "90")
	told := map[string]bool{}
	for _, a := range i.Alerts { // a label pair may stand once; the worst comes first
		if id := a.Kind + "\x00" + a.Subject; !told[id] {
			told[id] = true
			gauge(certificateAlerts, a.Days, a.Kind, a.Subject)
		}
	}
}
