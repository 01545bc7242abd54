output "load_balancer" {
  value = aws_lb.this.dns_name
}

output "instance_id" {
  value = aws_instance.engine.id
}

output "log_group" {
  value = aws_cloudwatch_log_group.engine.name
}
