// Package rounds has devices prove again and again what they run. Rules say how
// often; the devices of one rule are spread evenly over its interval. A device that
// sleeps or is away is asked as soon as it listens. Between two rounds it costs
// nothing: what is due is found by an index.
package rounds
