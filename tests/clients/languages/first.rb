# A first caller in Ruby.

require "bellwether/v1/scoring_services_pb"
require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"

API = Bellwether::V1
service = API::ScoringService::Stub.new(ARGV.fetch(0), :this_channel_is_insecure, timeout: 30)

event = API::Event.new(
  event_id: "event-1",
  profile_id: "ann",
  type: "question",
  text: "Which tool is good for a beginner?",
  time: Time.at(1_600_000_000)
)
scored = service.score_event(API::ScoreEventRequest.new(tenant: "ruby", event: event))
puts "scored #{scored.matched_signals.to_a.join(",")} #{scored.stage_change.to_stage}"

request = API::GetProfileRequest.new(tenant: "ruby", profile_id: "ann")
profile = service.get_profile(request).profile
puts "read #{profile.event_count} #{profile.stage}"

begin
  service.get_profile(API::GetProfileRequest.new(tenant: "ruby"))
rescue GRPC::BadStatus => error
  refusal = error.to_rpc_status
  refusal.details.each do |detail|
    wrong = detail.unpack(Google::Rpc::BadRequest)
    puts "refused #{refusal.code} #{wrong.field_violations.first.field}" if wrong
  end
end
