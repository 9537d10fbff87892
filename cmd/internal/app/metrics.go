package app

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"steward/lwm2m/transport"
	"steward/web"
)

// Version of the program, set by the linker for releases.
var Version = "dev"

// metrics serves the counters of the process and of its sockets to Prometheus.
func (a *App) metrics(services web.Services) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		listenerCollector{a.coaps}, engineCollector{a.engine}, streamCollector{a.streams}, enrolmentCollector{a.enrolment},
		certificateCollector{services.Certificates.Inventory, a.log})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// A listenerCollector turns the counters of the coaps listener into metrics.
type listenerCollector struct{ l *transport.Listener }

var (
	associations = prometheus.NewDesc("steward_dtls_associations", "DTLS associations established now.", nil, nil)
	restored     = prometheus.NewDesc("steward_dtls_restored", "DTLS associations restored at the start.", nil, nil)
	handshakes   = prometheus.NewDesc("steward_dtls_handshakes_total", "DTLS handshakes by outcome.",
		[]string{"outcome"}, nil)
	datagrams = prometheus.NewDesc("steward_dtls_datagrams_total", "Datagrams by direction.", []string{"direction"}, nil)
	octets    = prometheus.NewDesc("steward_dtls_bytes_total", "UDP payload bytes by direction.",
		[]string{"direction"}, nil)
	drops = prometheus.NewDesc("steward_dtls_drops_total", "Datagrams and records not used, by reason.",
		[]string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (listenerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{associations, restored, handshakes, datagrams, octets, drops} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c listenerCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.l.Stats()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	ch <- prometheus.MustNewConstMetric(associations, prometheus.GaugeValue, float64(s.Associations))
	ch <- prometheus.MustNewConstMetric(restored, prometheus.GaugeValue, float64(s.Restored))
	counter(handshakes, s.Handshakes, "completed")
	counter(handshakes, s.Refused, "refused")
	counter(datagrams, s.DatagramsIn, "in")
	counter(datagrams, s.DatagramsOut, "out")
	counter(octets, s.BytesIn, "in")
	counter(octets, s.BytesOut, "out")
	for reason, n := range s.Drops {
		counter(drops, n, string(reason))
	}
}
