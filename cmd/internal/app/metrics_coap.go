package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"steward/lwm2m/coap"
)

// An engineCollector turns the figures of the CoAP engine into metrics.
type engineCollector struct{ e *coap.Engine }

var (
	coapRequests = prometheus.NewDesc("steward_coap_requests_total", "Requests of devices by how they were served.",
		[]string{"served"}, nil)
	coapDuplicates = prometheus.NewDesc("steward_coap_duplicates_total", "Messages received again.", nil, nil)
	coapMalformed  = prometheus.NewDesc("steward_coap_malformed_total", "Datagrams that are no messages.", nil, nil)
	coapOvertaken  = prometheus.NewDesc("steward_coap_overtaken_total",
		"Notifications that gave way to newer ones before they were delivered.", nil, nil)
	coapHeld = prometheus.NewDesc("steward_coap_held", "What the engine holds now, by kind.", []string{"what"}, nil)
)

// Describe implements prometheus.Collector.
func (engineCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{coapRequests, coapDuplicates, coapMalformed, coapOvertaken, coapHeld} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c engineCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.e.Stats()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	counter(coapRequests, s.Quick, "at once")
	counter(coapRequests, s.Requests-s.Quick-s.Refused, "otherwise")
	counter(coapRequests, s.Refused, "refused")
	counter(coapDuplicates, s.Duplicates)
	counter(coapMalformed, s.Malformed)
	counter(coapOvertaken, s.Overtaken)
	for what, n := range map[string]int{
		"peers": s.Peers, "messages": s.Remembered, "observations": s.Observations, "bodies": s.Bodies, "busy": s.Busy,
	} {
		ch <- prometheus.MustNewConstMetric(coapHeld, prometheus.GaugeValue, float64(n), what)
	}
}
