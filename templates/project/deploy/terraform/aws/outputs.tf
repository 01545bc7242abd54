output "url" {
  description = "What `sabir deploy` asks for health, and tests/integration run against."
  value       = var.running ? "https://${var.domain}" : null
}

output "release" {
  description = "What is served."
  value       = var.running ? var.release : null
}

output "load_balancer" {
  description = "What the DNS record of `domain` is an alias of."
  value       = one(module.service[*].load_balancer)
}

output "instance_id" {
  description = "aws ssm start-session --target INSTANCE"
  value       = one(module.service[*].instance_id)
}

output "log_group" {
  description = "What `sabir deploy logs` reads."
  value       = one(module.service[*].log_group)
}

output "state_volume_id" {
  description = "It stays, whatever else goes."
  value       = aws_ebs_volume.state.id
}
