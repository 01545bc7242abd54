resource "aws_security_group" "load_balancer" {
  name_prefix = "${local.name}-lb-"
  description = "The load balancer of ${local.name}"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "load_balancer_https" {
  for_each = toset(var.allowed_cidrs)

  security_group_id = aws_security_group.load_balancer.id
  description       = "HTTPS"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_instance" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "To the engine"
  referenced_security_group_id = aws_security_group.instance.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_lb" "this" {
  # checkov:skip=CKV_AWS_91:The engine's own log has each request, with token, route and time.
  # checkov:skip=CKV2_AWS_28:Who may ask is decided by tokens and limits of the engine; put a web ACL before it where rules ask for one.
  # checkov:skip=CKV_AWS_150:It is a variable, true unless it is said otherwise.
  name_prefix                = "sabir-"
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = var.public_subnet_ids
  security_groups            = [aws_security_group.load_balancer.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.protected
  # Longer than an answer of a model may be silent.
  idle_timeout = 300
}

resource "aws_lb_target_group" "engine" {
  # checkov:skip=CKV_AWS_378:The load balancer ends TLS; behind it is one security group that lets nobody else in.
  name_prefix          = "sabir-"
  port                 = local.port
  protocol             = "HTTP"
  vpc_id               = var.vpc_id
  deregistration_delay = 60

  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_target_group_attachment" "engine" {
  target_group_arn = aws_lb_target_group.engine.arn
  target_id        = aws_instance.engine.id
  port             = local.port
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.engine.arn
  }
}
