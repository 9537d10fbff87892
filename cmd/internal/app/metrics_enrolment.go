package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"steward/est/enrol"
)

// An enrolmentCollector turns the counts of renewals into metrics.
type enrolmentCollector struct{ r *enrol.Runner }

var (
	enrolmentEvents = prometheus.NewDesc("steward_enrolment_events_total",
		"What happened to certificates of devices, since the start.", []string{"event"}, nil)
	enrolmentInHand = prometheus.NewDesc("steward_enrolment_in_hand",
		"Devices whose renewal is under way or due within the hour.", nil, nil)
	enrolmentStates = prometheus.NewDesc("steward_enrolments",
		"Devices by the state of their certificate, but for those with one in use.", []string{"state"}, nil)
)

// Describe implements prometheus.Collector.
func (enrolmentCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- enrolmentEvents
	ch <- enrolmentInHand
	ch <- enrolmentStates
}

// Collect implements prometheus.Collector.
func (c enrolmentCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.r.Stats()
	ch <- prometheus.MustNewConstMetric(enrolmentInHand, prometheus.GaugeValue, float64(s.InHand))
	for _, e := range []enrol.Event{
		enrol.Issue, enrol.Succeed, enrol.Prove, enrol.Ask, enrol.Fail, enrol.GiveUp, enrol.Doubt, enrol.Expire,
	} {
		ch <- prometheus.MustNewConstMetric(enrolmentEvents, prometheus.CounterValue, float64(s.Events[e]), string(e))
	}
	counts, err := c.r.Counts(context.Background())
	if err != nil {
		return // what is not known is not told
	}
	for _, state := range []enrol.State{
		enrol.Due, enrol.Asked, enrol.Renewed, enrol.Failed, enrol.Expired, enrol.Revoked, enrol.Left,
	} {
		ch <- prometheus.MustNewConstMetric(enrolmentStates, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
}
