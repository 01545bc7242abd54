output "url" {
  description = "Where health is looked at, and what the smoke tests ask."
  value       = "http://127.0.0.1:${var.port}"
}

output "release" {
  value = var.release
}

output "bundle_hash" {
  value = var.bundle_hash
}

output "log" {
  description = "What `sabir deploy logs` shows."
  value       = "${var.folder}/logs/engine.log"
}

# `sabir deploy plan` shows these: what has happened outside of Terraform.
output "drift" {
  value = local.current.pid != 0 && !local.alive ? ["the process ${local.current.pid}, which served ${local.current.release}, is gone"] : []
}
