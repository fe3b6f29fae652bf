package memwatermill

var LaneOf = laneOf
