package app

import "github.com/prometheus/client_golang/prometheus"

// A streamCollector turns the counters of CoAP over TCP and TLS into metrics.
type streamCollector struct{ streams streams }

var (
	connections = prometheus.NewDesc("steward_stream_connections", "CoAP connections open now.", []string{"scheme"}, nil)
	accepted    = prometheus.NewDesc("steward_stream_connections_total", "CoAP connections by what came of them.",
		[]string{"scheme", "outcome"}, nil)
)

// Describe implements prometheus.Collector.
func (streamCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- connections
	ch <- accepted
}

// Collect implements prometheus.Collector.
func (c streamCollector) Collect(ch chan<- prometheus.Metric) {
	for _, l := range c.streams.all() {
		scheme := "coap+tcp"
		if l == c.streams.tls {
			scheme = "coaps+tcp"
		}
		s := l.Stats()
		ch <- prometheus.MustNewConstMetric(connections, prometheus.GaugeValue, float64(s.Connections), scheme)
		for outcome, n := range map[string]uint64{
			"accepted": s.Accepted, "limited": s.Limited, "failed": s.Failed, "broken": s.Broken,
		} {
			ch <- prometheus.MustNewConstMetric(accepted, prometheus.CounterValue, float64(n), scheme, outcome)
		}
	}
}
