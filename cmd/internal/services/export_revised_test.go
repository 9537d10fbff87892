package services

// Revised exports revised for tests.
var Revised = revised
